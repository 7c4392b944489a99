"""What others saved comes in: another archive or a restored folder of one (`archives.py`), and what the earlier
pipeline left (`leavings.py` reads it, `placing.py` puts it into days, `kept.py` keeps the rest).

A place is only read (`backends/place.py`), and nothing is downloaded from the addresses in it. A day is written while
it is held, as by a backup. Without `writes`, everything is read and compared alike, and nothing is written.
"""
