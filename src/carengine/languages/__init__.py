"""Rule and query languages: one folder for each, with what reads it beside what writes it.

A language that is read is a row of ``reading.LANGUAGES`` and a folder with a ``reader``; one that is
written is a row of ``writing.TARGETS`` and a ``writer``. Both are imported when they are used.

What languages share stands beside the folders:

* of reading: ``query`` is what reading a query gives, ``terms`` and ``expressions`` read what query
  languages have in common (on ``syntax.TokenCursor``), ``raising`` turns a log's field names into
  CAR's, ``reads`` tells which fields a program reads;
* of writing: ``lowered`` is a rule in the terms of one log, where all writers begin; ``two_valued``
  its conditions without a third truth value, ``map_functions`` the functions of field maps in other
  languages, ``sequences`` joins in the order of time, ``text_writing`` what writers of text have in
  common; ``translation`` is what writing gives.
"""
