# The service of one model: docker build -t anymic .
# With --build-arg FDKAAC=1 it can encode HE-AAC (Debian's non-free packages; see their license).
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/anymic \
    && /opt/anymic/bin/pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu --constraint constraints.txt torch \
    && /opt/anymic/bin/pip install --no-cache-dir --constraint constraints.txt ".[serve,codecs,onnx]"

FROM python:3.12-slim
ARG FDKAAC=0
COPY scripts/install-fdkaac /usr/local/sbin/install-fdkaac
RUN if [ "$FDKAAC" = "1" ]; then bash /usr/local/sbin/install-fdkaac && command -v fdkaac && rm -rf /var/lib/apt/lists/*; fi
COPY --from=build /opt/anymic /opt/anymic
ENV PATH=/opt/anymic/bin:$PATH \
    ANYMIC_CACHE=/tmp/anymic
RUN useradd --create-home --uid 1000 anymic
USER 1000
WORKDIR /home/anymic
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["anymic"]
CMD ["serve", "/model", "--host", "0.0.0.0"]
