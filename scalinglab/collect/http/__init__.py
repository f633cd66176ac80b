"""Models behind HTTP: any server that is asked as OpenAI's are, by completions or by chat."""
