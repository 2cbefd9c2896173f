"""What a recurrent layer or model is made of, as plain data: what `plot_structure` draws.

A structure is a list of stages from the inputs up. A stage is the call of a layer: of a recurrent one, with a row for
each cell that runs over time (the cells of a stack above one another, then those that read backwards), or of another,
with none.
"""

import collections
from dataclasses import dataclass, field

import keras
from keras import tree

from keras_seq import compat
from keras_seq.cells.base import KernelCell
from keras_seq.diagnostics.batches import called, check_built
from keras_seq.diagnostics.inner_loops import STOCK, names_of_states, recurrent_layers
from keras_seq.errors import InputError
from keras_seq.layers.graphs import is_graph
from keras_seq.layers.states import all_shapes, initial_states

_OF_MEMORY = {
    "memory": "(N, W)",
    "read_weights": "(R, N)",
    "write_weights": "(J, N)",
    "reads": "(R, W)",
    "usage": "(N,)",
    "precedence": "(N,)",
    "links": "(N, N)",
}


@dataclass
class Row:
    """One cell over time.

    Attributes:
        cell: its class.
        backward: whether it reads the last step first.
        states: pairs of letters and shape without the batch, by name, such as `("(H,)", (64,))`; letters are "" where
            an axis has none.
        weights: the same.
    """

    cell: str
    backward: bool
    states: dict
    weights: dict


@dataclass
class Stage:
    """One call of a layer.

    Attributes:
        name, layer: its name, with the number of the call from the second on, and its class.
        reads: names of the stages and inputs that it reads.
        output: the shape of its (first) output, None for the batch and what is not known; () where none of it is.
        rows: a list of `Row`s, the lowest first; empty for a layer that is not recurrent.
        merge: how a `Bidirectional` joins its two directions, such as "concat" ("both" where it does not); else "".
        sequences: whether there is an output at each step.
    """

    name: str
    layer: str
    reads: list
    output: tuple
    rows: list = field(default_factory=list)
    merge: str = ""
    sequences: bool = True

    @property
    def last_first(self):
        """Whether the outputs come in the order of reading, the last step first."""
        return self.sequences and bool(self.rows) and self.rows[0].backward


def structure_of(model):
    """The `Stage`s of a built recurrent layer or model, in the order of calls.

    Of a graph (Sequential, Functional, nested ones too) these are all its layers. Of models with a `call` of their own,
    and of layers with recurrent ones inside, they are the recurrent layers, and all layers of the graphs that have
    some, each on "inputs".

    Raises:
        InputError: without a recurrent layer, or where one is not built.
    """
    check_built(model)
    found = recurrent_layers(model)
    if not found:
        raise InputError(
            f"{called(model)} has no recurrent layers (RNN, LSTM, GRU …, ours or of keras.layers): there is nothing to "
            "unroll."
        )
    unbuilt = [one.name for one in found if not one.built]
    if unbuilt:
        raise InputError(f"Layer {unbuilt[0]!r} of {called(model)} is not built: call the model on a batch first.")
    inputs = [tensor.name for tensor in model.inputs] if is_graph(model) else ["inputs"]
    return _stages(model, inputs if len(inputs) > 1 else ["inputs"], _output_of(model), collections.Counter())


def _stages(layer, reads, output, calls):
    """The stages of a layer; `calls` counts those of each, by its `id`."""
    if isinstance(layer, (keras.layers.RNN, keras.layers.Bidirectional)):
        return [_recurrent(layer, _name_of_call(layer, calls), reads, output)]
    if not isinstance(layer, keras.Layer) or not recurrent_layers(layer):
        shape = _name_of_call(layer, calls), type(layer).__name__, reads, output
        return [Stage(*shape, sequences=len(output) > 2)]
    if is_graph(layer):
        return _of_graph(layer, reads, calls)
    stages, inside = [], set()
    for one in compat.inner_layers(layer):
        within = isinstance(one, (keras.layers.RNN, keras.layers.Bidirectional)) or is_graph(one)
        if one is not layer and within and id(one) not in inside and recurrent_layers(one):
            inside |= {id(inner) for inner in compat.inner_layers(one)}
            stages += _stages(one, ["inputs"], _output_of(one), calls)
    return stages


def _name_of_call(layer, calls):
    calls[id(layer)] += 1
    return layer.name if calls[id(layer)] == 1 else f"{layer.name} (call {calls[id(layer)]})"


def _of_graph(model, reads, calls):
    """The stages of a Functional or Sequential model, whose inputs go by the names `reads`."""
    named = [[name] for name in reads] if len(reads) == len(model.inputs) else [reads] * len(model.inputs)
    sources = {id(tensor): names for tensor, names in zip(model.inputs, named, strict=True)}
    stages = []

    def source(tensor):
        if id(tensor) not in sources:
            node = compat.made_by(tensor)
            given = {name: value for name, value in node.arguments.kwargs.items() if "mask" not in name}
            read = [a for a in tree.flatten((node.arguments.args, given)) if isinstance(a, keras.KerasTensor)]
            names = list(dict.fromkeys(name for a in read for name in source(a)))
            stages.extend(_stages(node.operation, names, tuple(node.outputs[0].shape), calls))
            sources.update({id(output): [stages[-1].name] for output in node.outputs})
        return sources[id(tensor)]

    for tensor in model.outputs:
        source(tensor)
    return stages


def _recurrent(layer, name, reads, output):
    both = isinstance(layer, keras.layers.Bidirectional)
    directions = [layer.forward_layer, layer.backward_layer] if both else [layer]
    rows = [_row(cell, one.go_backwards) for one in directions for cell in getattr(one.cell, "cells", [one.cell])]
    merge = (layer.merge_mode or "both") if both else ""
    return Stage(name, type(layer).__name__, reads, output, rows, merge, directions[0].return_sequences)


def _output_of(layer):
    """The shape of the first output of a layer that is not in a graph, by the shape that it was built for."""
    if is_graph(layer):
        return tuple(layer.outputs[0].shape)
    config = layer.get_build_config() or {}
    shape = config.get("input_shape") or next(iter(config.get("shapes_dict", {}).values()), None)
    return tuple(all_shapes(layer.compute_output_shape(shape))[0]) if shape else ()


def _row(cell, backward):
    states = initial_states(cell, 1)
    named = zip(names_of_states(cell, states), tree.flatten(states), strict=True)
    shapes = {name: tuple(state.shape[1:]) for name, state in named}
    letters = _letters(cell)
    found = {name: (letters.get(name, ""), shape) for name, shape in shapes.items()}
    weights = {}
    for weight in getattr(cell, "weights", []):
        name = weight.path.split(f"{cell.name}/")[-1]
        weights[name] = (letters.get(name, ""), tuple(weight.shape))
    return Row(type(cell).__name__, bool(backward), found, weights)


def _letters(cell):
    """Letters of the axes of states and weights, by name."""
    if not isinstance(cell, (KernelCell, *STOCK)):
        return _OF_MEMORY if hasattr(cell, "slots") else {}
    count = cell.kernel.shape[1] // cell.units
    all_gates = "H" if count == 1 else f"{count}H"
    output = "P" if getattr(cell, "projection_size", None) else "H"
    known = {"h": f"({output},)", "c": "(H,)"}
    known |= {
        "kernel": f"(D, {all_gates})",
        "recurrent_kernel": f"({output}, {all_gates})",
        "projection_kernel": "(H, P)",
    }
    for weight in cell.weights:
        last = {cell.units: "H", count * cell.units: all_gates}.get(weight.shape[-1])
        if len(weight.shape) == 1 and last:
            known.setdefault(weight.name, f"({last},)")
        elif weight.name == "bias":
            known["bias"] = f"({weight.shape[0]}, {last})"
    return known
