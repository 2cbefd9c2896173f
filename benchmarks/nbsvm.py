"""NB-SVM (Wang and Manning, 2012, "Baselines and Bigrams"): the linear model to beat on short texts.

r = log(p / |p|) - log(q / |q|)         p, q: 1 + how many positive, negative texts have each word and bigram
w = weights of a linear SVM on r * f    f: 1 for each word and bigram that a text has
positive where  f (r * ((1 - beta) mean(|w|) + beta w)) + beta b > 0
"""

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.svm import LinearSVC


class NBSVM:
    """Two classes, 0 and 1. `fit(texts, y)`, then `predict(texts)`; texts are strings with spaces between words.

    Args:
        beta: how far the SVM may go from naive Bayes, between 0 and 1 (the paper: 0.25).
        c: of the SVM (the paper: 1).
    """

    def __init__(self, beta=0.25, c=1.0):
        self.beta = beta
        self.features = CountVectorizer(ngram_range=(1, 2), binary=True, token_pattern=r"\S+", lowercase=True)
        self.svm = LinearSVC(C=c, max_iter=20_000, random_state=0)

    def fit(self, texts, y):
        f, y = self.features.fit_transform(texts), np.asarray(y)
        p, q = (1 + np.asarray(f[y == label].sum(axis=0)).ravel() for label in (1, 0))
        self.r = np.log(p / p.sum()) - np.log(q / q.sum())
        self.svm.fit(f.multiply(self.r).tocsr(), y)
        w = self.svm.coef_.ravel()
        self.w = self.r * ((1 - self.beta) * np.abs(w).mean() + self.beta * w)
        return self

    def predict(self, texts):
        return (self.features.transform(texts) @ self.w + self.svm.intercept_ * self.beta > 0).astype(int)
