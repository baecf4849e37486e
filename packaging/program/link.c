/* _scr_link: what the single executable asks of the system's loader.

   load: some wheels need libstdc++ and libgcc_s, which a bare host does not have. They are carried like modules, but
   are none; once they are loaded from a path, modules that need them by name find them.
   release: what starting read of the executable's own constants (the code of hundreds of modules) stays mapped and
   counts as ours; the pages are the file's, unchanged, and come back by themselves when they are needed again. */
#define _GNU_SOURCE
#include "Python.h"
#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

static PyObject *
load(PyObject *self, PyObject *path)
{
    const char *text = PyUnicode_AsUTF8(path);
    if (text == NULL) {
        return NULL;
    }
    if (dlopen(text, RTLD_NOW | RTLD_LOCAL) == NULL) {
        PyErr_SetString(PyExc_OSError, dlerror());
        return NULL;
    }
    Py_RETURN_NONE;
}

static int
release_first(struct dl_phdr_info *object, size_t size, void *unused)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && part->p_flags == PF_R) { /* constants only: never written, so the file has them */
            uintptr_t start = (object->dlpi_addr + part->p_vaddr + page - 1) & ~(page - 1);
            uintptr_t end = (object->dlpi_addr + part->p_vaddr + part->p_filesz) & ~(page - 1);
            if (end > start) {
                madvise((void *)start, end - start, MADV_DONTNEED);
            }
        }
    }
    return 1; /* the first object is the executable: no other is looked at */
}

static PyObject *
release(PyObject *self, PyObject *unused)
{
    dl_iterate_phdr(release_first, NULL);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"load", load, METH_O, "Load the shared library at a path for good. Raises OSError."},
    {"release", release, METH_NOARGS, "Let go of the executable's constants that were read so far."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_scr_link", "Loads shared libraries that compiled modules need.", 0, methods,
};

PyMODINIT_FUNC
PyInit__scr_link(void)
{
    return PyModuleDef_Init(&module);
}
