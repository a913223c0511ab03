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

// Token gives the access token. It is asked before each call, so that it can renew the token.
type Token func(context.Context) (string, error)

// Connect gives a connection whose calls carry the token and are repeated by the retry policy. Give each call a
// deadline: until then, it waits for the service.
func Connect(address string, transport credentials.TransportCredentials, token Token) (*grpc.ClientConn, error) {
	return grpc.NewClient(address,
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(token),
		grpc.WithDefaultServiceConfig(serviceConfig))
}

// GetRequestMetadata makes a Token credentials.PerRPCCredentials.
func (token Token) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	value, err := token(ctx)
	return map[string]string{"authorization": "Bearer " + value}, err
}

// RequireTransportSecurity is false because dev answers without TLS.
func (Token) RequireTransportSecurity() bool { return false }
