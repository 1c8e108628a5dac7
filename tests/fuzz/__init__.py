"""Fuzzing: the promises that hold for any bytes, the corpora, and the program that looks for more."""

from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
