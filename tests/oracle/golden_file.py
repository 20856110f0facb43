"""What the makers of goldens of families have in common: two models of each family, NAME-0 and NAME-1, in one file."""
import sys
import tempfile


def made_of(names, kinds, golden, weaknesses=None):
    """The goldens of these families by model. golden(name, seed, folder) gives what weaknesses(it, golden, name, folder) looks at, and the
    golden; weaknesses are told on standard error."""
    made = {}
    for name in names:
        for seed in range(len(kinds)):
            with tempfile.TemporaryDirectory() as folder:
                looked_at, made[f"{name}-{seed}"] = golden(name, seed, folder)
                for weakness in weaknesses(looked_at, made[f"{name}-{seed}"], name, folder) if weaknesses else ():
                    print(f"{name}-{seed}: {weakness}", file=sys.stderr)
    return made


def in_order(models, names, kinds):
    """Those of all families that there are, in the order of the families."""
    return {model: models[model] for name in names for seed in range(len(kinds)) if (model := f"{name}-{seed}") in models}
