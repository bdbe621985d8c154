"""What a DAG is made of: thin, they resolve windows and connections and leave the work to the engine."""
