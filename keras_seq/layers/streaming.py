"""From a model that was trained on whole sequences to one that reads them chunk by chunk."""

import inspect
from itertools import count

import keras
import numpy as np
from keras import ops, tree

from keras_seq import compat
from keras_seq.layers.graphs import is_graph, is_its_own_mask, output_names
from keras_seq.layers.rnn import RNN
from keras_seq.layers.streamable import why_not
from keras_seq.layers.streaming_rnn import StreamingRNN, TimeFolded


@keras.saving.register_keras_serializable("keras_seq")
class StreamingModel(keras.Model):
    """What `streaming` makes: a Functional model from a dict of inputs and states to one of outputs and states."""

    def __call__(self, inputs, *args, **kwargs):
        if isinstance(inputs, dict):  # Keras takes no arrays beside tensors
            inputs = {name: ops.convert_to_tensor(x) if isinstance(x, np.ndarray) else x for name, x in inputs.items()}
        return super().__call__(inputs, *args, **kwargs)

    def get_initial_state(self, batch_size):
        """The states that a stream starts from.

        Args:
            batch_size: how many streams there are side by side.

        Returns:
            A dict from names of states to tensors `(B, ...)`.
        """
        states = {}
        for layer in self.layers:
            if isinstance(layer, (StreamingRNN, StreamingModel)):
                start = layer.get_initial_state(batch_size)
                for call in count(1) if start else ():
                    named = {_state_name(layer, call, name): state for name, state in start.items()}
                    if not set(named) <= set(self.input):
                        break
                    states.update(named)
        return states


def streaming(model, also=(), whole=()):
    """A model that reads sequences chunk by chunk, with its states as inputs and outputs.

    However a sequence is cut into chunks (of one step, of many, of none), their outputs, one after the other, are
    those of the whole sequence: masks, too, mean the same. Where `model` returns the last output of a layer, the
    streaming model returns the last one so far. It has the weights of `model`: what one learns the other knows.

    Its input is a dict with `"inputs"` (with several inputs: the name of each) `(B, T, ...)` and one tensor for each
    state, its output a dict with `"outputs"` (with several outputs: `"output_0"`, ..., or the keys of the dict that
    `model` returns) and the new states. A state is named after its layer: `lstm_h`, `lstm_c`, of a stack `rnn_0_h`,
    of other cells `rnn_0` and so on, by its place among the states. `rnn_output` is the output before a chunk, of
    cells that keep it nowhere. `model.export(path)` has these names in its signature, with any `B` and `T`.

    Stateful layers become like the others: their states are inputs and outputs, and start anew, whatever `model` has
    seen before. Layers that read the last output alone may be of any kind.

    Args:
        model: a Sequential or Functional model that is built; models in it are streamed, too.
        also: classes of layers that are vouched for: what they make of a step depends on that step alone.
        whole: names of inputs that are no sequences in time, and given in full with each chunk: a memory `(B, S, W)`.
            By default inputs `(B,)`, and floats `(B, D)` with known `D` that are not read by an Embedding.

    Returns:
        A `keras.Model` with a method `get_initial_state(batch_size)`. It survives a `.keras` file.

    Raises:
        ValueError: where the model is not built or no such model, nothing in it is recurrent, or a layer in it cannot
            stream: it reads backwards, looks at several steps, starts from states given in the model, or is not known.

    Example:

    >>> model = keras.Sequential([keras.Input((None, 5)), LSTM(3, return_sequences=True), keras.layers.Dense(2)])
    >>> stream = ks.layers.streaming(model)
    >>> states = stream.get_initial_state(batch_size=1)
    >>> x, outputs = np.ones((1, 7, 5)), []
    >>> for chunk in (x[:, :4], x[:, 4:5], x[:, 5:]):
    ...     states = stream({"inputs": chunk, **states})
    ...     outputs.append(states.pop("outputs"))
    >>> bool(np.allclose(np.concatenate(outputs, axis=1), model(x), atol=1e-6))
    True
    """
    if not is_graph(model) or not model.built:
        raise ValueError(
            "Argument `model` must be a Sequential or Functional model that is built, got "
            f"{type(model).__name__}{'' if getattr(model, 'built', True) else ', not built'}: a Sequential model is "
            "built by a keras.Input as its first layer, or by a call; of other models give the part that is one."
        )
    also = tuple(also) if isinstance(also, (list, tuple)) else (also,)
    if not all(isinstance(one, type) for one in also):
        raise ValueError(f"Argument `also` must hold classes of layers, got {also!r}.")
    whole = [whole] if isinstance(whole, str) else whole
    unknown = sorted(set(whole) - {tensor.name for tensor in model.inputs})
    if unknown:
        raise ValueError(
            f"Argument `whole` must hold names of inputs of model {model.name!r}, "
            f"{[tensor.name for tensor in model.inputs]}, got {unknown}."
        )
    ids = {id(layer.input) for layer in model.layers if isinstance(layer, keras.layers.Embedding)}
    streams = [tensor.name not in whole and (id(tensor) in ids or _is_stream(tensor)) for tensor in model.inputs]
    made = _Streamed(model, streams, also, f"{model.name}_streaming")
    if not made.states:
        raise ValueError(
            f"Model {model.name!r} cannot stream: no recurrent layer in it reads one of its inputs step by step."
        )
    return made.model


class _Streamed:
    """One model, made anew layer by layer on inputs that come in chunks.

    Args:
        model: a Sequential or Functional model.
        streams: for each of its inputs, whether it comes in chunks. All else is given in full, or so far.
        also: classes of layers that are vouched for.
        name: of the new model.
    """

    def __init__(self, model, streams, also, name):
        self.also, self.owner, self.streams_in = also, model, streams
        self.states, self.new_states = {}, {}  # by name
        self._streams = {}  # by id of the new tensors, which are kept alive here
        self._made = {}  # by id of the tensors of `model`
        self._layers, self._calls = {}, {}  # by id of the layers of `model`
        names = [tensor.name for tensor in model.inputs] if len(model.inputs) > 1 else ["inputs"]
        inputs = {}
        for old, is_stream, input_name in zip(model.inputs, streams, names, strict=True):
            shape = (None, None, *old.shape[2:]) if is_stream else (None, *old.shape[1:])
            new = inputs[input_name] = keras.Input(batch_shape=shape, dtype=old.dtype, name=input_name)
            self._made[id(old)] = self._marked(new) if is_stream else new
        self.input_names = list(inputs)
        outputs = self._sequential(model) if isinstance(model, keras.Sequential) else self._functional(model)
        self.output_names = list(outputs)
        self.streams_out = [self._is_stream(tensor) for tensor in outputs.values()]
        self._check_names(inputs, outputs)
        self.model = StreamingModel({**inputs, **self.states}, {**outputs, **self.new_states}, name=name)

    def _sequential(self, model):
        x = self._made[id(model.inputs[0])]
        for layer in model.layers:
            outputs = self._called(layer, (x,), {})
            x = outputs[0] if len(outputs) == 1 else outputs
        return dict(zip(output_names(x), tree.flatten(x), strict=True))

    def _functional(self, model):
        new = [self._value(tensor) for tensor in model.outputs]
        return dict(zip(output_names(model.output), new, strict=True))

    def _value(self, tensor):
        """What stands for a tensor of the given model."""
        if id(tensor) not in self._made:
            node = compat.made_by(tensor)
            args, kwargs = node.arguments.args, dict(node.arguments.kwargs)
            if is_its_own_mask(kwargs.get("mask"), args):
                del kwargs["mask"]  # Keras will find it again
            args, kwargs = tree.map_structure(
                lambda a: self._value(a) if isinstance(a, keras.KerasTensor) else a, (args, kwargs)
            )
            outputs = self._called(node.operation, args, kwargs)
            self._made.update({id(old): new for old, new in zip(node.outputs, outputs, strict=True)})
        return self._made[id(tensor)]

    def _called(self, layer, args, kwargs):
        """What a layer makes of streams, and of tensors that are none: a list of tensors."""
        tensors = [a for a in tree.flatten((args, kwargs)) if isinstance(a, keras.KerasTensor)]
        if not any(map(self._is_stream, tensors)):
            if getattr(layer, "stateful", False):
                self._refuse(layer, "it is stateful, and reads what does not come in chunks")
            return tree.flatten(layer(*args, **kwargs))
        if isinstance(layer, RNN):
            return self._recurrent(layer, **inspect.signature(layer.call).bind(*args, **kwargs).arguments)
        if is_graph(layer):
            return self._nested(layer, args)
        if not all(map(self._is_stream, tensors)):
            self._refuse(layer, "it joins a sequence that comes in chunks with what does not")
        if type(layer) is keras.layers.TimeDistributed:
            layer = self._once(layer, lambda: TimeFolded(layer.layer, name=layer.name, dtype=layer.dtype_policy))
        else:
            reason = why_not(layer, args, tensors, self.also)
            if reason:
                self._refuse(layer, reason)
            if not isinstance(layer, keras.Layer):  # under a name that no mask that Keras computes will get
                layer = type(layer).from_config({**layer.get_config(), "name": f"{layer.name}_streaming"})
        return [self._marked(y) for y in tree.flatten(layer(*args, **kwargs))]

    def _recurrent(self, layer, sequences, mask=None, training=None, memory=None, memory_mask=None, **given):
        own = [name for name in ("call", "inner_loop", "get_initial_state") if _overrides(layer, name)]
        if own:
            self._refuse(layer, f"its class has a `{own[0]}` of its own, which would be lost: put it into the cell")
        reset_mask = given.pop("reset_mask", None)
        if layer.go_backwards:
            self._refuse(layer, "it reads the sequence from its end (`go_backwards`)")
        for name, value in given.items():  # initial_state, perturbation, return_trace
            if value is not None and value is not False:
                self._refuse(layer, f"it is given `{name}` in the model; what a stream starts from is an input")
        by_step = [a for a in tree.flatten((sequences, mask, reset_mask)) if a is not None]
        at_once = [a for a in tree.flatten((memory, memory_mask)) if a is not None]
        if not all(map(self._is_stream, by_step)) or any(map(self._is_stream, at_once)):
            self._refuse(layer, "its sequences must come in chunks, its memory in full: see argument `whole`")
        streaming_layer = self._once(
            layer,
            lambda: StreamingRNN(
                layer.cell,
                return_sequences=layer.return_sequences,
                zero_output_for_mask=layer.zero_output_for_mask,
                name=layer.name,
                dtype=layer.dtype_policy,
            ),
        )
        if not streaming_layer.built:
            read = [sequences] if memory is None else [sequences, memory]
            streaming_layer.build(*(tree.map_structure(lambda x: x.shape, value) for value in read))
        start = streaming_layer.get_initial_state(1)
        names = self._new_states(layer, streaming_layer, start)
        told = {"mask": mask, "memory": memory, "memory_mask": memory_mask, "reset_mask": reset_mask}
        told = {name: value for name, value in told.items() if value is not None}
        output, *states = streaming_layer(sequences, [self.states[name] for name in names], **told)
        self.new_states.update(zip(names, states, strict=True))
        outputs = [self._marked(y) if layer.return_sequences else y for y in tree.flatten(output)]
        returned = len(tree.flatten(layer.get_initial_state(1))) if layer.return_state else 0
        return outputs + states[:returned]

    def _nested(self, model, args):
        flat = tree.flatten(args)
        streams = [self._is_stream(tensor) for tensor in flat]
        inner = self._once(model, lambda: _Streamed(model, streams, self.also, model.name))
        if inner.streams_in != streams:
            self._refuse(model, "it is given sequences in chunks in one place and in full in another")
        start = inner.model.get_initial_state(1)
        names = self._new_states(model, inner.model, start)
        states = dict(zip(start, (self.states[name] for name in names), strict=True))
        outputs = inner.model({**dict(zip(inner.input_names, flat, strict=True)), **states})
        self.new_states.update({name: outputs[key] for name, key in zip(names, start, strict=True)})
        flat = [outputs[name] for name in inner.output_names]
        return [self._marked(y) if s else y for y, s in zip(flat, inner.streams_out, strict=True)]

    def _new_states(self, layer, streaming_layer, start):
        """Inputs for the states of one more call of a layer. Returns their names."""
        call = self._calls[id(layer)] = self._calls.get(id(layer), 0) + 1
        names = [_state_name(streaming_layer, call, name) for name in start]
        for name, state in zip(names, start.values(), strict=True):
            if name in self.states:
                self._refuse(layer, f"another layer has a state named {name!r}, too: give one of them another name")
            self.states[name] = keras.Input(state.shape[1:], dtype=state.dtype, name=name)
        return names

    def _once(self, layer, make):
        """What stands for a layer, made when it is first called: called twice, it has one set of weights."""
        if id(layer) not in self._layers:
            self._layers[id(layer)] = make()
        return self._layers[id(layer)]

    def _is_stream(self, tensor):
        return id(tensor) in self._streams

    def _marked(self, tensor):
        self._streams[id(tensor)] = tensor
        return tensor

    def _check_names(self, inputs, outputs):
        taken = sorted(set(self.states) & {*inputs, *outputs})
        if taken:
            raise ValueError(
                f"Model {self.owner.name!r} cannot stream: {taken} name(s) both a state and an input or output: give "
                "the recurrent layer another name."
            )

    def _refuse(self, layer, reason):
        raise ValueError(
            f"Layer {layer.name!r} ({type(layer).__name__}) of model {self.owner.name!r} cannot stream: {reason}."
        )


def _overrides(layer, name):
    return getattr(type(layer), name) is not getattr(RNN, name)


def _is_stream(tensor):
    """Whether an input comes in chunks: `(B, T, ...)`, or `(B, T)` if that is not a vector of known size."""
    rank = len(tensor.shape)
    return rank > 2 or (rank == 2 and (tensor.shape[1] is None or not keras.backend.is_float_dtype(tensor.dtype)))


def _state_name(layer, call, name):
    return f"{layer.name}_{name}" if call == 1 else f"{layer.name}_call{call}_{name}"
