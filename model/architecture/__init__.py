"""Networks: one file per component; `decoder.py` reads as the figure in the paper."""
