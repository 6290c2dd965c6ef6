"""The review page: a server on this machine alone, and what a browser shows of it.

It needs the extra `web`; nothing of it is imported before `tp-drseg review` asks for it.
"""
