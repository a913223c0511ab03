// The same REST API as gateway/envoy.yaml by another reader of the annotations, and the oracle of tests/gateway.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"ipmhub.io/invitations/gateway/gen"
)

var strictJSON = &runtime.JSONPb{UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: false}}

func main() {
	listen := flag.String("listen", "127.0.0.1:8090", "where REST is served")
	service := flag.String("service", "127.0.0.1:50051", "where the service answers gRPC")
	flag.Parse()
	connection, err := grpc.NewClient(*service, grpc.WithTransportCredentials(insecure.NewCredentials()))
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, strictJSON), // an unknown field would be ignored
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithIncomingHeaderMatcher(only("idempotency-key", "if-match", "x-request-id")), // and authorization anyway
		runtime.WithOutgoingHeaderMatcher(only("x-call-id")),
		runtime.WithRoutingErrorHandler(unrouted),
		runtime.WithErrorHandler(failed),
	)
	ctx := context.Background()
	err = errors.Join(err,
		gen.RegisterAccountServiceHandler(ctx, mux, connection), gen.RegisterInvitationServiceHandler(ctx, mux, connection),
		gen.RegisterMailServiceHandler(ctx, mux, connection), gen.RegisterOrganizationServiceHandler(ctx, mux, connection))
	if err != nil {
		log.Fatal(err)
	}
	server := http.Server{Addr: *listen, Handler: bounded(checked(mux)), ReadTimeout: 30 * time.Second, MaxHeaderBytes: 24 << 10}
	log.Fatal(server.ListenAndServe())
}

func only(names ...string) runtime.HeaderMatcherFunc {
	return func(name string) (string, bool) { return name, slices.Contains(names, strings.ToLower(name)) }
}

// A batch may be longer.
func bounded(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most := int64(64 << 10)
		if strings.HasSuffix(r.URL.Path, ":batchCreate") {
			most = 1 << 20
		}
		http.MaxBytesHandler(handler, most).ServeHTTP(w, r)
	})
}

// Refuses what the runtime would take for JSON, or ignore.
func checked(mux *runtime.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, _, _ := strings.Cut(strings.ToLower(r.Header.Get("content-type")), ";")
		switch {
		case kind != "" && strings.TrimSpace(kind) != "application/json":
			answer(w, http.StatusUnsupportedMediaType, status.New(codes.InvalidArgument, "content-type must be application/json"))
		case r.ContentLength != 0 && (r.Method == http.MethodGet || r.Method == http.MethodDelete),
			r.URL.RawQuery != "" && r.Method == http.MethodPost && strings.Contains(r.URL.Path, ":"):
			answer(w, http.StatusBadRequest, status.New(codes.InvalidArgument, "GET and DELETE have no body, and a POST to a :verb no query"))
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// A wrong method is 405 here, 501 in the runtime.
func unrouted(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, http int) {
	code := map[int]codes.Code{400: codes.InvalidArgument, 404: codes.NotFound, 405: codes.Unimplemented}
	answer(w, http, status.New(code[http], "there is nothing under this path and method"))
}

func failed(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
	if metadata, ok := runtime.ServerMetadataFromContext(ctx); ok {
		w.Header()["X-Call-Id"] = metadata.HeaderMD["x-call-id"]
	}
	answer(w, runtime.HTTPStatusFromCode(status.Code(err)), status.Convert(err))
}

// google.rpc.Status with its details, and in headers what HTTP has a header for.
func answer(w http.ResponseWriter, http int, problem *status.Status) {
	for _, detail := range problem.Details() {
		if wait, ok := detail.(*errdetails.RetryInfo); ok {
			w.Header().Set("Retry-After", fmt.Sprint(math.Ceil(wait.RetryDelay.AsDuration().Seconds())))
		} else if info, ok := detail.(*errdetails.ErrorInfo); ok && http == 401 {
			challenges := map[string]string{"TOKEN_MISSING": "Bearer", "TOKEN_INVALID": `Bearer error="invalid_token"`}
			w.Header().Set("WWW-Authenticate", challenges[info.Reason])
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http)
	_ = strictJSON.NewEncoder(w).Encode(problem.Proto())
}
