"""Commands and their options."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from keras_seq.models.encoders import ENCODERS

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
train = typer.Typer(no_args_is_help=True, help="Train a model, and write it as an artefact.")
app.add_typer(train, name="train")
app.callback()(lambda: None)

Encoder = StrEnum("Encoder", {name: name for name in ENCODERS})
Pooling = StrEnum("Pooling", {name: name for name in ("last", "mean", "max", "attention")})
Format = StrEnum("Format", {name: name for name in ("table", "csv", "jsonl")})


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


@app.command()
def predict(
    directory: Annotated[Path, typer.Argument(help="An artefact.", metavar="DIR")],
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts. Without them and --data: lines of standard input.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="CSV, TSV, JSON lines or Parquet.")] = None,
    text: Annotated[str, typer.Option(help="Column with the texts.")] = "text",
    format: Annotated[Format, typer.Option(help="How to print.")] = Format.table,
):
    """Judge texts with a trained model."""
    from keras_seq.cli.predict import predict_texts

    predict_texts(directory, texts or [], data, text, format.value)
