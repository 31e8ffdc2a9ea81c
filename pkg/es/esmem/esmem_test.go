package esmem_test

import (
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/esmem"
	"github.com/obole-market/obole/pkg/es/estest"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	estest.Run(t, func(_ *testing.T, n int) func() es.Log {
		log := esmem.New(n, time.Now)
		return func() es.Log { return log }
	})
}
