package boot

import "google.golang.org/grpc"

// GuardOf is the unary interceptor of a server.
func GuardOf(s *Server) grpc.UnaryServerInterceptor { return s.guard.unary }
