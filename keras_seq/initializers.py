"""How weights start, beyond what `keras.initializers` has."""


def fresh(initializer):
    """An initializer that draws anew: one without a seed gives the same numbers to each weight of a shape.

    With a seed it stays as it was asked for; a plain function is given back.
    """
    return initializer.clone() if hasattr(initializer, "clone") else initializer
