"""The doctor: looks at a whole installation and says what is wrong and what to do about it.

`checks.py` lists every check, the other modules hold them by area, `examination.py` carries them out.
"""
