"""KQL, Kibana's query language: its reader. Elastic's rules call the language ``kuery``."""
