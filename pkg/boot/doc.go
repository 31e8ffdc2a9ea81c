// Package boot is what a main calls: configuration, logs, traces and metrics, the gRPC server with everything that
// stands before a handler, connections to peers, health, and the group of actors that a process is. Each is a function
// or a small type that takes the Config and can be used without the others, so that a service's face reads
//
//	tel, err := boot.Observe(&cfg)
//	health := boot.NewHealth(cfg.Service, "tails")
//	pool, err := boot.OpenPool(ctx, &cfg, tel)
//	srv, err := boot.NewServer(&cfg, tel, health)
//	consentv1.RegisterConsentServiceServer(srv, rpc.New(...))
//	var g boot.Group
//	g.Add("log", log.Run)
//	g.Add("relay", relay.Run)
//	g.Add("admin", boot.ServeHTTP(cfg.Admin, boot.Admin(tel, health)))
//	g.Add("grpc", srv.Serve)
//	return g.Run(ctx)
//
// # Who may call
//
// The contract says it, per RPC, in the option obole.event.v1.access: roles, the request's field that names the owner,
// and limits of time, size and rate. The guard works the options out when services are registered; an RPC without the
// option is refused to everybody, and an owner that is no field of the request stops the service. Only health and, where
// it is switched on, reflection answer without a token. Methods and Method.Authorise let a test walk every RPC, role
// and owner.
//
// Before a handler, in this order: panics become Internal, the deadline is set, size, token, roles and owner, rate, and
// the contract's rules are checked; after it, faults become statuses, and what nobody has classified a bare Internal,
// logged once.
//
// # What it is not
//
// It is no framework: it calls nobody's code but the handlers registered on Server and the actors put into Group. It is
// no authorisation engine, and it decides nothing about events, streams or projections.
package boot
