# stop.sh sq main : TERM the supervisor that writes to its log, by pid file
