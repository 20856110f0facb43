import importlib
from dataclasses import dataclass


@dataclass(frozen=True)
class ModelManifest:
    model_id: str
    simple_class_path: str = None
    chat_class_path: str = None


class ModelRegistryV2:
    def __init__(self):
        self.manifests = {}

    def register_manifest(self, manifest, *, overwrite=False):
        self.manifests[manifest.model_id] = manifest

    def get_model_class(self, name, force_simple=False):
        manifest = self.manifests[name]
        module, _, cls = (manifest.simple_class_path if force_simple else manifest.chat_class_path).rpartition(".")
        return getattr(importlib.import_module(module), cls)
