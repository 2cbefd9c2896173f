"""Settings of benchmarks/translation.py."""

SETTINGS = {
    "dates_gru": {
        "epochs": 3,
        "batch_size": 64,
        "peak_rate": 4e-3,
        "warmup_steps": 0,
        "model": {"encoder": "gru", "bidirectional": True, "units": 64, "embedding_dim": 32},
    },
    "dates_transformer": {
        "epochs": 6,
        "batch_size": 64,
        "peak_rate": 2e-3,
        "warmup_steps": 200,
        "model": {"encoder": "transformer", "depth": 2, "units": 64},
    },
    "multi30k_gru": {
        "epochs": 15,
        "tokens_per_batch": 3072,
        "max_tokens": 6000,
        "peak_rate": 2e-3,
        "warmup_steps": 200,
        "model": {
            "encoder": "gru",
            "bidirectional": True,
            "units": 256,
            "shared_embeddings": True,
            "dropout": 0.4,
            "label_smoothing": 0.1,
        },
    },
    "multi30k_transformer": {
        "epochs": 18,
        "tokens_per_batch": 2048,
        "max_tokens": 6000,
        "peak_rate": 3e-3,
        "warmup_steps": 600,
        "model": {
            "encoder": "transformer",
            "depth": 4,
            "units": 128,
            "hidden_units": 512,
            "shared_embeddings": True,
            "dropout": 0.3,
            "label_smoothing": 0.1,
        },
    },
}
