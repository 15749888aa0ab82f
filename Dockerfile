# Sidewinder with the packages of the lock file: docs/module.md says how to run it.
FROM debian:12.11-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY . /sidewinder
RUN python3 -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --requirement /sidewinder/requirements.lock /sidewinder \
    && rm -rf /sidewinder
# Whoever runs it may be a user without a name and a home.
ENV PATH="/venv/bin:$PATH" HOME=/tmp LOGNAME=sidewinder
WORKDIR /work
ENTRYPOINT ["sidewinder"]
