"""What words do: which lesion they lead to, where their priors point, what masks they give."""
