"""CAR's own formats: ``.car`` files, MITRE's YAML files and Markdown pages, read and written.

``carfile``, ``caryaml`` and ``page`` read them, ``page_writer`` writes pages, ``formatting`` prints
rules in canonical form.
"""
