"""`keras-seq train`: its commands and their options."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from keras_seq.models.encoders import ENCODERS

train = typer.Typer(no_args_is_help=True, help="Train a model, and write it as an artefact.")

Encoder = StrEnum("Encoder", {name: name for name in ENCODERS})
Pooling = StrEnum("Pooling", {name: name for name in ("last", "mean", "max", "attention")})
AnyEncoder = StrEnum("AnyEncoder", {name: name for name in (*ENCODERS, "transformer")})
Attention = StrEnum(
    "Attention", {name: name for name in ("additive", "normalized_additive", "dot", "scaled_dot", "general", "none")}
)
Shared = StrEnum("Shared", {name: name for name in ("none", "target", "all")})
Split = StrEnum("Split", {name: name for name in ("words", "characters", "subwords")})
Strategy = StrEnum("Strategy", {name: name for name in ("segment", "direct", "recursive")})
Scale = StrEnum("Scale", {name: name for name in ("series", "window", "none")})
Outputs = StrEnum("Outputs", {name: name for name in ("quantiles", "gaussian", "mse", "mae", "huber")})
Decay = StrEnum("Decay", {name: name for name in ("cosine", "none")})
Forcing = StrEnum("Forcing", {name: name for name in ("linear", "exponential", "inverse_sigmoid")})


@train.command("sentiment")
def train_sentiment(
    out: Annotated[Path, typer.Option(help="Folder for the artefact.")],
    data: Annotated[
        Path | None, typer.Option(help="CSV, TSV, JSON lines or Parquet. Default: embedded reviews.")
    ] = None,
    text: Annotated[str, typer.Option(help="Column with the texts.")] = "text",
    label: Annotated[str, typer.Option(help="Column with the labels.")] = "label",
    encoder: Annotated[Encoder, typer.Option(help="Recurrent layer.")] = Encoder.gru,
    units: Annotated[int, typer.Option(min=1, help="Its size, in each direction.")] = 64,
    depth: Annotated[int, typer.Option(min=1, help="How many of them on top of each other.")] = 1,
    bidirectional: Annotated[bool, typer.Option(help="Read both ways.")] = True,
    pooling: Annotated[Pooling, typer.Option(help="How all steps become one vector.")] = Pooling.last,
    embedding_dim: Annotated[int, typer.Option(min=1, help="Size of the embedding of a word.")] = 64,
    dropout: Annotated[float, typer.Option(min=0, max=0.95, help="Share dropped.")] = 0.3,
    word_dropout: Annotated[float, typer.Option(min=0, max=0.95, help="Share of the words hidden.")] = 0.0,
    weight_decay: Annotated[float, typer.Option(min=0, help="Of AdamW; biases are left alone.")] = 0.0,
    label_smoothing: Annotated[float, typer.Option(min=0, max=0.95, help="Share spread over all labels.")] = 0.0,
    averaging: Annotated[
        float | None,
        typer.Option(min=0, max=0.9999, help="Momentum of an average of the weights (0.99: of 100 steps)."),
    ] = None,
    subword_buckets: Annotated[
        int | None, typer.Option(min=1, help="Number of vectors for the runs of letters in words.")
    ] = None,
    vectors: Annotated[
        Path | None, typer.Option(help="Text file with vectors of words (GloVe, word2vec) to start from.")
    ] = None,
    train_vectors: Annotated[bool, typer.Option(help="Train those, too.")] = True,
    balanced: Annotated[bool, typer.Option("--balanced", help="Weigh all labels alike, however rare.")] = False,
    max_tokens: Annotated[int, typer.Option(min=3, help="Size of the vocabulary at most.")] = 20_000,
    min_count: Annotated[int, typer.Option(min=1, help="How often a word must occur to be known.")] = 2,
    max_length: Annotated[int, typer.Option(min=1, help="Words of a text that are kept.")] = 400,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs at most.")] = 25,
    patience: Annotated[int, typer.Option(min=1, help="Epochs without progress on validation rows.")] = 5,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    learning_rate: Annotated[float, typer.Option(min=1e-6, help="Of Adam, in the first epoch.")] = 2e-3,
    decay: Annotated[float, typer.Option(min=0, help="In epoch e the rate is learning_rate / (1 + decay e).")] = 0.1,
    test_size: Annotated[float, typer.Option(min=0.01, max=0.9, help="Share of rows held out.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace an artefact that is there.")] = False,
):
    """Train a model that judges texts. An interrupted training goes on where it stopped when called again."""
    from keras_seq.cli.sentiment import Settings, train_to_artefact

    settings = Settings(
        data=None if data is None else str(data),
        text=text,
        label=label,
        model={
            "encoder": encoder.value,
            "units": units,
            "depth": depth,
            "bidirectional": bidirectional,
            "pooling": pooling.value,
            "embedding_dim": embedding_dim,
            "dropout": dropout,
            "word_dropout": word_dropout,
            "weight_decay": weight_decay,
            "label_smoothing": label_smoothing,
            "averaging": averaging,
            "subword_buckets": subword_buckets,
            "train_embeddings": train_vectors,
            "learning_rate": learning_rate,
        },
        words={"max_tokens": max_tokens, "min_count": min_count, "max_length": max_length},
        epochs=epochs,
        patience=patience,
        batch_size=batch_size,
        decay=decay,
        class_weight="balanced" if balanced else None,
        vectors=None if vectors is None else str(vectors),
        test_size=test_size,
        seed=seed,
    )
    train_to_artefact(settings, out, force)


@train.command("seq2seq")
def train_seq2seq(
    out: Annotated[Path, typer.Option(help="Folder for the artefact.")],
    data: Annotated[
        Path | None,
        typer.Option(help="CSV, TSV, JSON lines or Parquet; with --data-target a text file. Default: generated dates."),
    ] = None,
    data_target: Annotated[Path | None, typer.Option(help="Text file whose lines translate those of --data.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Column with the texts to translate.", show_default="source")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column with their translations.", show_default="target")] = None,
    encoder: Annotated[AnyEncoder | None, typer.Option(help="Encoder, and decoder.", show_default="gru")] = None,
    attention: Annotated[
        Attention | None, typer.Option(help="How a recurrent decoder attends to the source.", show_default="additive")
    ] = None,
    input_feeding: Annotated[
        bool | None, typer.Option("--input-feeding", help="It also reads what it attended to at the step before.")
    ] = None,
    bidirectional: Annotated[
        bool | None, typer.Option("--bidirectional/--no-bidirectional", help="A recurrent encoder reads both ways.")
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=1, help="Layers of the encoder, and of the decoder.", show_default="1")
    ] = None,
    units: Annotated[int | None, typer.Option(min=1, help="Their size.", show_default="256; transformer: 128")] = None,
    embedding_dim: Annotated[
        int | None, typer.Option(min=1, help="Size of an embedding.", show_default="that of --units")
    ] = None,
    num_heads: Annotated[int | None, typer.Option(min=1, help="Of a transformer.", show_default="4")] = None,
    shared_embeddings: Annotated[
        Shared | None,
        typer.Option(help="Score tokens by the embeddings of the target; all: one vocabulary.", show_default="none"),
    ] = None,
    dropout: Annotated[float | None, typer.Option(min=0, max=0.95, help="Share dropped.", show_default="0.3")] = None,
    label_smoothing: Annotated[
        float | None,
        typer.Option(min=0, max=0.95, help="Share of the target spread over all tokens.", show_default="0.1"),
    ] = None,
    scheduled_sampling: Annotated[
        float | None,
        typer.Option(min=0, max=0.95, help="Share of the model's own tokens that it trains on.", show_default="0"),
    ] = None,
    teacher_forcing: Annotated[
        Forcing | None, typer.Option(help="Let that share rise to it from epoch to epoch: how the true tokens decay.")
    ] = None,
    forcing_rate: Annotated[
        float | None, typer.Option(help="How fast they do: see ks.callbacks.TeacherForcing.")
    ] = None,
    split: Annotated[Split | None, typer.Option(help="What a token is.", show_default="words")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=5, help="Size of a vocabulary at most.", show_default="20000")
    ] = None,
    min_count: Annotated[
        int | None, typer.Option(min=1, help="How often a token must occur to be known.", show_default="2")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Tokens of a text that are kept.", show_default="128")
    ] = None,
    lowercase: Annotated[
        bool | None, typer.Option("--lowercase/--no-lowercase", help="Give up case, on both sides.", show_default="no")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs at most.", show_default="20; transformer: 30")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Epochs without progress on validation pairs.", show_default="5")
    ] = None,
    average_last: Annotated[
        int | None, typer.Option(min=1, help="Take the mean of the last epochs, so many, in place of the best one.")
    ] = None,
    tokens_per_batch: Annotated[int | None, typer.Option(min=1, help="Bound on a batch.", show_default="3072")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Pairs in a batch, in place of that bound.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=1e-6, help="Of Adam, at its peak.", show_default="0.002; transformer: 0.003")
    ] = None,
    decay: Annotated[
        Decay | None, typer.Option(help="How the rate falls, to 0 with the last epoch.", show_default="cosine")
    ] = None,
    warmup: Annotated[
        float | None,
        typer.Option(min=0, max=0.9, help="Share of the steps in which the rate rises.", show_default="0.05"),
    ] = None,
    test_size: Annotated[
        float | None, typer.Option(min=0.01, max=0.9, help="Share held out.", show_default="0.1")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace an artefact that is there.")] = False,
):
    """Train a model that translates texts. An interrupted training goes on where it stopped when called again.

    The defaults are those for --data; for the generated dates it is a small model of characters.
    """
    options = {name: getattr(value, "value", value) for name, value in locals().items()}
    from keras_seq.cli.seq2seq import settings_of, train_to_artefact

    out, force = options.pop("out"), options.pop("force")
    train_to_artefact(settings_of(options), out, force)


@train.command("forecast")
def train_forecast(
    out: Annotated[Path, typer.Option(help="Folder for the artefact.")],
    data: Annotated[
        Path | None, typer.Option(help="CSV, TSV, JSON lines or Parquet. Default: a generated load, hour by hour.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Column with time stamps.", show_default="ds")] = None,
    id: Annotated[
        str | None,
        typer.Option(help="Column that says which series a row belongs to.", show_default="unique_id, if there is one"),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="Column to forecast; may be given several times.", show_default="y, or all others"),
    ] = None,
    past: Annotated[list[str] | None, typer.Option(help="Covariate that is known up to now; several times.")] = None,
    known: Annotated[list[str] | None, typer.Option(help="Covariate that is known in advance; several times.")] = None,
    freq: Annotated[
        str | None, typer.Option(help="Step of the stamps, such as h, 15min, D.", show_default="that of most")
    ] = None,
    lookback: Annotated[
        int | None,
        typer.Option(min=1, help="Steps that the model sees.", show_default="a week of hours; two horizons at least"),
    ] = None,
    horizon: Annotated[int | None, typer.Option(min=1, help="Steps that it forecasts.", show_default="24")] = None,
    season: Annotated[
        int | None, typer.Option(min=1, help="Steps of a season, of the baseline.", show_default="by the frequency")
    ] = None,
    strategy: Annotated[
        Strategy | None, typer.Option(help="How the horizon comes about.", show_default="segment")
    ] = None,
    encoder: Annotated[AnyEncoder | None, typer.Option(help="What reads the look-back.", show_default="gru")] = None,
    units: Annotated[int | None, typer.Option(min=1, help="Its size.", show_default="64")] = None,
    depth: Annotated[int | None, typer.Option(min=1, help="Its layers.", show_default="1")] = None,
    segment: Annotated[int | None, typer.Option(min=1, help="Steps of a segment.", show_default="24 at most")] = None,
    scale: Annotated[
        Scale | None, typer.Option(help="What is brought to mean 0 and deviation 1.", show_default="series")
    ] = None,
    outputs: Annotated[
        Outputs | None, typer.Option(help="What is said of each value, by which loss.", show_default="quantiles")
    ] = None,
    level: Annotated[
        list[float] | None,
        typer.Option(help="Share of values, in percent, that an interval holds; several times.", show_default="80, 90"),
    ] = None,
    dropout: Annotated[float | None, typer.Option(min=0, max=0.95, help="Share dropped.", show_default="0.1")] = None,
    stride: Annotated[int, typer.Option(min=1, help="Steps from a window to train on to the next.")] = 1,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs at most.", show_default="20")] = None,
    patience: Annotated[int, typer.Option(min=1, help="Epochs without progress on the validation part.")] = 5,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows in a batch.")] = 64,
    learning_rate: Annotated[
        float | None, typer.Option(min=1e-6, help="Of Adam, in the beginning.", show_default="0.003")
    ] = None,
    decay: Annotated[Decay, typer.Option(help="How the rate falls, to 0 with the last epoch.")] = Decay.cosine,
    test_size: Annotated[float, typer.Option(min=0.01, max=0.9, help="Share of the time held out, its end.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace an artefact that is there.")] = False,
):
    """Train a model that forecasts series. An interrupted training goes on where it stopped when called again.

    The defaults are those for --data; for the generated load it is a smaller model.
    """
    options = {name: getattr(value, "value", value) for name, value in locals().items()}
    from keras_seq.cli.forecast import settings_of, train_to_artefact

    out, force = options.pop("out"), options.pop("force")
    train_to_artefact(settings_of(options), out, force)
