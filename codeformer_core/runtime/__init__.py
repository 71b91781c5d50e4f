"""How work is run, whatever the work is: prefetching, batching by memory, progress, atomic writes."""
