"""Functions of ids that a network runs as one program each."""

from keras_seq.backend import native

KEPT = 8  # each way to search or to write is one


class Programs:
    """Compiles functions of a network and of ids; keeps the last that were used.

    Args:
        network: a layer, whose variables are read at each call.
    """

    def __init__(self, network):
        self.network = network
        self.kept = {}

    def run(self, function, arrays, how):
        """`function(network, *arrays, *how)`, of arrays of int32 and of what is fixed in the program, `how`."""
        key = (function, *how)
        program = self.kept.pop(key, None) or native.program(
            lambda *ids: function(self.network, *ids, *how), self.network, [array.ndim for array in arrays]
        )
        self.kept[key] = program  # the last that was used stands last
        if len(self.kept) > KEPT:
            self.kept.pop(next(iter(self.kept)))
        return program(*arrays)
