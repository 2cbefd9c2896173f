"""Serve an exported text model with TensorFlow alone: neither keras_seq nor keras is imported.

python saved_models/serve.py saved_models/reviews "The soup was not cold at all."
"""

import sys

import tensorflow as tf

directory, *texts = sys.argv[1:]
serve = tf.saved_model.load(f"{directory}/saved_model").signatures["serving_default"]
answer = serve(text=tf.constant(texts, tf.string))
for text, label, probabilities in zip(texts, answer["label"].numpy(), answer["probabilities"].numpy(), strict=True):
    label = label.decode() if isinstance(label, bytes) else label
    print(f"{label:10} {probabilities.max():.3f}  {text}")
