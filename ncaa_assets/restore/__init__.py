"""What was saved comes back: an archive's days as plain files, or as an archive somewhere else.

A layout says which files a day becomes (`days.py`, `library.py`, `archive.py`); a target says where files go and what
is there already (`target.py`); `restoring.py` goes through the days and names what is missing or damaged. Nothing here
writes to the archive that is restored, but for its table of rows (`table.py`).
"""
