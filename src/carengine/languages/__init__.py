"""Rule and query languages: one folder for each, with what reads it beside what writes it.

``reading`` and ``writing`` are the tables of languages that are read and written. What languages
share stands beside them: ``query`` is what reading a query gives, ``terms`` and ``expressions``
read what query languages have in common, ``raising`` turns a log's field names into CAR's.
``lowered`` is a rule in the terms of one log, where all writers begin; ``two_valued`` and
``preimages`` prepare its conditions, ``translation`` is what writing gives.
"""
