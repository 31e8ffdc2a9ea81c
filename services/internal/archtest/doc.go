// Package archtest holds the house to its plan: who may import whom, which rooms a service has, what never appears in
// production code. Its tests parse the tree in this process, so that the test cache sees every file they depend on,
// and each rule is shown to fail on a planted violation. The plan itself stands in plan_test.go as data.
package archtest
