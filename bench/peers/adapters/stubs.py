"""Stand-ins for packages that a peer imports and does not need for what is measured here."""

import importlib.abc
import importlib.machinery
import sys
import types


class _Anything:
    """Can be called, subclassed and asked for any attribute; does nothing."""

    def __init__(self, *args, **kwargs):
        pass

    def __call__(self, *args, **kwargs):
        return _Anything()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything()


class _StubModule(types.ModuleType):
    __path__: list = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        # A class, as peers write `list[Dataset]` and `class PRM(PreTrainedModel)`.
        return type(name, (_Anything,), {})


class _StubFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, names):
        self.names = tuple(names)

    def find_spec(self, fullname, path=None, target=None):
        if any(fullname == name or fullname.startswith(name + ".") for name in self.names):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec):
        return _StubModule(spec.name)

    def exec_module(self, module):
        pass


def stub(*names, **modules):
    """Imports of `names` (and all below them) give empty modules.

    modules: attributes of top-level modules by the module's name: vllm={"LLM": ...}.
    """
    sys.meta_path.insert(0, _StubFinder([*names, *modules]))
    for name, attributes in modules.items():
        module = importlib.import_module(name)
        for key, value in attributes.items():
            setattr(module, key, value)
