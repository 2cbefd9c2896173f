"""Functional graphs, read back: models whose layers can be called anew, one by one."""

import keras
from keras import tree

from keras_seq import compat


def is_graph(model):
    """Whether a model is Sequential or Functional."""
    return isinstance(model, keras.Sequential) or (isinstance(model, keras.Model) and hasattr(model, "operations"))


def output_names(outputs):
    """A name for each tensor in a nest of outputs: `outputs` for a single one."""
    if isinstance(outputs, dict):
        return sorted(outputs)
    flat = tree.flatten(outputs)
    return ["outputs"] if len(flat) == 1 else [f"output_{i}" for i in range(len(flat))]


def is_its_own_mask(mask, args):
    """Whether a mask that stands in a graph is the one that Keras found with the first argument."""
    if mask is None or not args:
        return False
    found = [compat.mask_of(a) for a in tree.flatten(args[0]) if isinstance(a, keras.KerasTensor)]
    return all(map(_same, tree.flatten(mask), found)) if len(tree.flatten(mask)) == len(found) else False


def _same(a, b):
    """Whether two symbolic tensors are computed alike: a reloaded graph has two copies of each mask."""
    if a is b:
        return True
    if not (isinstance(a, keras.KerasTensor) and isinstance(b, keras.KerasTensor)):
        return not isinstance(a, keras.KerasTensor) and not isinstance(b, keras.KerasTensor) and a == b
    one, other = compat.made_by(a), compat.made_by(b)
    if isinstance(one.operation, keras.Layer) or type(one.operation) is not type(other.operation):
        return False
    configs = [{**node.operation.get_config(), "name": None} for node in (one, other)]
    flat = [tree.flatten((node.arguments.args, node.arguments.kwargs)) for node in (one, other)]
    return configs[0] == configs[1] and len(flat[0]) == len(flat[1]) and all(map(_same, *flat))
