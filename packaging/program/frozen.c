/* PyOxidizer 0.24 walks PyImport_FrozenModules, which CPython 3.11 leaves NULL unless an embedder sets it: it crashes.
   The frozen importlib has to be in the table, or start-up does not find _frozen_importlib_external. */
#include "Python.h"

extern const struct _frozen *_PyImport_FrozenBootstrap;

__attribute__((constructor)) static void
set_frozen_modules(void)
{
    if (PyImport_FrozenModules == NULL) {
        PyImport_FrozenModules = _PyImport_FrozenBootstrap;
    }
}
