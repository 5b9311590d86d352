# RapidJSON, the reader of plan files, behind a shim in planner/ (headers only).
include(Dependency)
loom_dependency(rapidjson HEADER rapidjson/rapidjson.h PACKAGE rapidjson-dev)
