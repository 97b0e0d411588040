#!/usr/bin/env bash
# Pre-training on a slice of TPU VMs: benchmarks/clusters/tpu_vm.sh NAME ZONE RUN_DIR [OPTIONS]
# NAME is a slice that exists (gcloud compute tpus tpu-vm create NAME --zone ZONE
# --accelerator-type v5litepod-16 --version v2-alpha-tpuv5-lite). RUN_DIR is a folder that
# all its hosts see. OPTIONS are those of `spectral-tf pretrain`.
set -euo pipefail

name=${1:?usage: tpu_vm.sh NAME ZONE RUN_DIR [OPTIONS of spectral-tf pretrain]}
zone=${2:?the zone of the slice}
run_dir=${3:?a folder that all hosts see}
shift 3

# Quoted once more: the words travel through the shell of the other side.
printf -v words ' %q' "$run_dir" "$@"

# --worker=all: the same command on every host at once. On a TPU VM JAX asks the machine
# itself who the other hosts are: --distributed needs nothing more. jax[tpu] brings libtpu.
# A slice that was preempted and made again goes on: --resume where there are checkpoints.
"${GCLOUD:-gcloud}" compute tpus tpu-vm ssh "$name" --zone "$zone" --worker=all --command "
  set -e
  pip install -q 'jax[tpu]' spectral_tf
  resume=
  if [ -e $(printf %q "$run_dir")/checkpoints ]; then resume=--resume; fi
  spectral-tf pretrain --distributed --run-dir$words \$resume
"

# On GKE the same command is the container's: a JobSet with one pod for each host of the
# node pool (parallelism = completions = hosts, requests google.com/tpu: chips of a host,
# node selectors cloud.google.com/gke-tpu-accelerator and gke-tpu-topology), a headless
# service, and
#   command: [spectral-tf, pretrain, --distributed, --run-dir, /mnt/runs/NAME]
# JAX reads the variables that GKE sets in such pods (TPU_WORKER_ID, TPU_WORKER_HOSTNAMES).
