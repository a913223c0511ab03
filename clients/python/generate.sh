#!/bin/sh
# Makes the package ipmhub.invitations.v1 of the contract, beside this file.
cd "$(dirname "$0")" && exec python -m grpc_tools.protoc -I../../proto -I../../proto-vendor \
  --python_out=. --pyi_out=. --grpc_python_out=. ../../proto/ipmhub/invitations/v1/*.proto
