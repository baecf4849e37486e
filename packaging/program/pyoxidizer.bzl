# The one file: the crafted interpreter, the program and its libraries, all in memory; compiled modules by scr_carrier.
# PyOxidizer is given everything by --var; see package.sh.

def keep_bytecode_only(policy, resource):
    """Leave sources out: tracebacks name lines all the same, and half of the file is saved."""
    if type(resource) == "PythonModuleSource":
        resource.add_source = False
        resource.add_bytecode_optimization_level_zero = True

def make_exe():
    dist = PythonDistribution(sha256 = VARS["distribution_sha256"], local_path = VARS["distribution"], flavor = "standalone")
    policy = dist.make_python_packaging_policy()
    policy.extension_module_filter = "minimal"
    # only with these four together pure modules come in
    policy.include_distribution_sources = True
    policy.include_non_distribution_sources = True
    policy.bytecode_optimize_level_zero = True
    policy.bytecode_optimize_level_two = False
    policy.include_test = False
    policy.resources_location = "in-memory"
    policy.register_resource_callback(keep_bytecode_only)
    config = dist.make_python_interpreter_config()
    config.config_profile = "isolated"
    config.allocator_backend = "default"
    config.filesystem_importer = False
    config.install_signal_handlers = True
    config.sys_frozen = True
    config.utf8_mode = True
    config.run_command = "import scr_carrier; scr_carrier.start()"
    exe = dist.to_python_executable(name = "scr", packaging_policy = policy, config = config)
    exe.add_python_resources(exe.read_package_root(path = VARS["tree"], packages = VARS["packages"].split(",")))
    return exe

def make_install(exe):
    files = FileManifest()
    files.add_python_resource(".", exe)
    return files

register_target("exe", make_exe)
register_target("install", make_install, depends = ["exe"], default = True)
resolve_targets()
