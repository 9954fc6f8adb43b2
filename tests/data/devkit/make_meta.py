#!/usr/bin/env python3
"""Wrote meta.mat beside it, with scipy 1.x: a small devkit, to check our reader against another writer.

The first 66 of ImageNet's sorted wnids, of which n01751748 (sea snake) has its true ILSVRC2012_ID 490;
the other IDs are made up, in another order than the wnids. The three inner synsets are no classes.
"""
import numpy as np
from scipy.io import savemat

LEAVES = """
n01440764 n01443537 n01484850 n01491361 n01494475 n01496331 n01498041 n01514668 n01514859 n01518878
n01530575 n01531178 n01532829 n01534433 n01537544 n01558993 n01560419 n01580077 n01582220 n01592084
n01601694 n01608432 n01614925 n01616318 n01622779 n01629819 n01630670 n01631663 n01632458 n01632777
n01641577 n01644373 n01644900 n01664065 n01665541 n01667114 n01667778 n01669191 n01675722 n01677366
n01682714 n01685808 n01687978 n01688243 n01689811 n01692333 n01693334 n01694178 n01695060 n01697457
n01698640 n01704323 n01728572 n01728920 n01729322 n01729977 n01734418 n01735189 n01737021 n01739381
n01740131 n01742172 n01744401 n01748264 n01749939 n01751748""".split()
INNER = {"n00001740": "entity", "n01726692": "snake, serpent", "n99999999": "last"}
WORDS = {"n01440764": "tench, Tinca tinca", "n01751748": "sea snake", "n01443537": "goldfish, Carassius auratus"}

rows = []
for k, wnid in enumerate(LEAVES):
    number = 490 if wnid == "n01751748" else 1 + 7 * k % 66
    rows.append((float(number), wnid, WORDS.get(wnid, "animal " + str(k)), "gloss of " + wnid, np.uint16(0),
                 np.zeros((0, 0)), 0.0))
for k, (wnid, words) in enumerate(INNER.items()):
    rows.append((float(1001 + k), wnid, words, "", np.uint16(2), np.array([[1.0, 490.0]]), 3.0))
rows.sort(key=lambda row: row[0])

FIELDS = ["ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height"]
synsets = np.empty((len(rows), 1), dtype=[(field, object) for field in FIELDS])
for i, row in enumerate(rows):
    synsets[i, 0] = row
savemat("meta.mat", {"synsets": synsets, "note": "made by make_meta.py"}, do_compression=True)
