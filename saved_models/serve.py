"""Serve an exported text model with TensorFlow alone: neither keras_seq nor keras is imported.

python saved_models/serve.py saved_models/reviews "The soup was not cold at all."
python saved_models/serve.py saved_models/dates "9 March 1987"
"""

import sys

import tensorflow as tf

directory, *texts = sys.argv[1:]
serve = tf.saved_model.load(f"{directory}/saved_model").signatures["serving_default"]
answer = serve(text=tf.constant(texts, tf.string))
# Of models that judge texts: the label and its probability. Of those that translate: the translation and its score.
said, sure = ("label", "probabilities") if "label" in answer else ("text", "score")
for text, one, numbers in zip(texts, answer[said].numpy(), answer[sure].numpy(), strict=True):
    one = one.decode() if isinstance(one, bytes) else one
    print(f"{one:10} {numbers.max():.3f}  {text}")
