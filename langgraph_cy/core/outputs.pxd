from langgraph_cy.core.plan cimport BranchStep, WriteStep
from langgraph_cy.core.tasks cimport Task


cdef int write(Task task, WriteStep step, object output) except -1
cdef object branch_input(Task task, BranchStep step, object output)
cdef int follow(Task task, BranchStep step, object output, object result) except -1
