package invitations

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Problem is what the service says with an error.
type Problem struct {
	Code    codes.Code
	Message string
	// Reason is for programs: a name of ErrorReason, and empty where the error did not come from the service.
	Reason string
	// Metadata names the resources.
	Metadata map[string]string
	// Fields are all bad fields of the request; the reason of each is a name of FieldReason.
	Fields []*errdetails.BadRequest_FieldViolation
	// RetryAfter says how long to wait, where waiting helps; else it is 0.
	RetryAfter time.Duration
}

// ProblemOf reads the error of a call.
func ProblemOf(err error) Problem {
	answer := status.Convert(err)
	problem := Problem{Code: answer.Code(), Message: answer.Message()}
	for _, detail := range answer.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			problem.Reason, problem.Metadata = detail.GetReason(), detail.GetMetadata()
		case *errdetails.BadRequest:
			problem.Fields = detail.GetFieldViolations()
		case *errdetails.RetryInfo:
			problem.RetryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	return problem
}
