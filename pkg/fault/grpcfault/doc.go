// Package grpcfault is the edge between package fault and gRPC: what a handler returned becomes a status with details,
// and on the other side the same fault again.
//
//	f := grpcfault.Classify(err)         // in the server's interceptor; log it when f.Kind is KindInternal
//	return grpcfault.Status(f).Err()
//
//	return grpcfault.From(err)           // in the client's interceptor
//
// Facts travel as BadRequest field violations where the request is invalid, as the metadata of ErrorInfo elsewhere; the
// reason as ErrorInfo, domain "obole.market"; RetryAfter as RetryInfo. What nobody has classified becomes a bare
// Internal: neither its text nor what lies behind a fault ever leaves the process.
package grpcfault
