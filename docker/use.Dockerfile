# equireg to be used, as a command: `make image-cpu`, `make image-cuda`; see docs/docker.md.
FROM python:3.11-slim-bookworm

# cpu or cuda. PyTorch's wheel at PyPI brings CUDA's libraries; that without them lies with PyTorch.
ARG DEVICE=cpu
ARG EXTRAS=serve,dicom,onnx,openvino

ENV PATH=/opt/equireg/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

# PyTorch by itself, so that its gigabytes are fetched again only when constraints.txt changes.
WORKDIR /source
COPY constraints.txt ./
RUN python -m venv /opt/equireg \
    && if [ "$DEVICE" = cpu ]; then export PIP_INDEX_URL=https://download.pytorch.org/whl/cpu; fi \
    && pip install --no-cache-dir --constraint constraints.txt torch

COPY . .
RUN pip install --no-cache-dir --constraint constraints.txt ".[$EXTRAS]" \
    && rm -rf /source/* \
    && useradd --no-log-init --uid 1000 --create-home --shell /usr/sbin/nologin equireg \
    && install --directory --owner=equireg --group=equireg /data

USER 1000
WORKDIR /data
EXPOSE 8000
# Healthy where `serve` answers; any other verb has nothing to ask.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-m", "equireg.serving.health"]
ENTRYPOINT ["equireg"]
CMD ["--help"]
