"""The datasheet of a corpus: the questions of Gebru et al. 2021, answered by what was measured and by people."""
