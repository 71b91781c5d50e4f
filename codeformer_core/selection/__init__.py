"""Which of the detected faces are worked on, and what people are told about the others."""
