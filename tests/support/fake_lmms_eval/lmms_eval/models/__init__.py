from lmms_eval.models.registry_v2 import ModelRegistryV2

MODEL_REGISTRY_V2 = ModelRegistryV2()
