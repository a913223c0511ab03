// Package invitations connects to the invitation service of IPMHub, and reads its errors. The generated code is in
// ipmhub.io/invitations/v1.
package invitations

import (
	"context"
	_ "embed"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

//go:generate buf generate
//go:generate cp ../service-config.json .

//go:embed service-config.json
var serviceConfig string

// Connect gives a connection whose calls carry the token and are repeated by the retry policy. Give each call a
// deadline: until then, it waits for the service.
func Connect(address string, transport credentials.TransportCredentials, token string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address,
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(bearer(token)),
		grpc.WithDefaultServiceConfig(serviceConfig))
}

type bearer string

func (token bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(token)}, nil
}

// dev answers without TLS.
func (bearer) RequireTransportSecurity() bool { return false }
